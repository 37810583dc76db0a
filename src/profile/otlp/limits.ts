import { LIMITS } from '../../base/limits.ts';
import type { ProfileLimits } from '../limits.ts';

/** The limits of an OTLP request; a subset of {@link LIMITS}, smaller in tests. */
export interface OtlpLimits extends ProfileLimits {
  readonly otlpProfilesMax: number;
  readonly otlpRowsMax: number;
  readonly otlpValueDepthMax: number;
  readonly otlpDictionariesMax: number;
  readonly jsonDepthMax: number;
  readonly labelsPerSeriesMax: number;
  readonly labelNameBytesMax: number;
  readonly labelValueBytesMax: number;
}

/** What the product runs with. */
export const OTLP_LIMITS: OtlpLimits = LIMITS;
