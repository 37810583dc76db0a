/** Wire types of protobuf: a varint. Source: https://protobuf.dev/programming-guides/encoding/#structure */
export const VARINT = 0;
/** Eight bytes. */
export const FIXED_64 = 1;
/** A length and as many bytes. */
export const DELIMITED = 2;
/** Four bytes. */
export const FIXED_32 = 5;
