/** The largest int64. */
export const INT64_MAX = (1n << 63n) - 1n;
