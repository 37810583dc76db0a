import { type Reason, TephraError } from '../../base/errors.ts';

/** What is wrong with a message of a stream, and in which field. */
export class FieldError extends TephraError {
  /** As in `parts[2].stack_delta[17]`; '' if it is none of a single field. */
  readonly field: string;
  /** The message without reason and field. */
  readonly text: string;

  constructor(reason: Reason, field: string, text: string) {
    super(reason, field === '' ? text : `${field}: ${text}`);
    this.field = field;
    this.text = text;
  }

  /** A caught error as one of a field. */
  static of(thrown: unknown, field: string): FieldError {
    if (thrown instanceof FieldError) {
      return thrown.field === '' ? new FieldError(thrown.reason, field, thrown.text) : thrown;
    }
    const { reason, detail } = TephraError.from(thrown);
    return new FieldError(reason, field, detail);
  }
}
