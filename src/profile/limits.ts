import { LIMITS } from '../base/limits.ts';

/** The limits that readers of profiles apply; a subset of {@link LIMITS}, smaller in tests. */
export interface ProfileLimits {
  readonly samplesPerProfileMax: number;
  readonly stackDepthKept: number;
  readonly stackDepthMax: number;
  readonly framesPerProfileMax: number;
  readonly stringsPerProfileMax: number;
  readonly stringBytesKept: number;
  readonly functionsPerProfileMax: number;
  readonly locationsPerProfileMax: number;
  readonly mappingsPerProfileMax: number;
  readonly linesPerLocationMax: number;
  readonly linesPerProfileMax: number;
  readonly labelsPerSampleMax: number;
  readonly sampleTypesPerProfileMax: number;
  readonly unknownFieldsMax: number;
}

/** What the product runs with. */
export const PROFILE_LIMITS: ProfileLimits = LIMITS;
