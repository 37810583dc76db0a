/** Greatest common divisor of whole numbers >= 0 below 2^53; 0 only for (0, 0). */
function gcd(a: number, b: number): number {
  let x = a;
  let y = b;
  while (y !== 0) [x, y] = [y, x % y];
  return x;
}

/** {@link gcd} for bigints >= 0. */
export function gcdBig(a: bigint, b: bigint): bigint {
  let x = a;
  let y = b;
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

/** Greatest common divisor of a column; 0 where all are 0. */
export function gcdOf(values: Float64Array | BigUint64Array): bigint {
  if (values instanceof Float64Array) {
    let divisor = 0;
    for (let i = 0; i < values.length && divisor !== 1; i++) {
      const value = values[i] as number;
      // Most values are multiples of what was found so far.
      if (divisor === 0 || value % divisor !== 0) divisor = gcd(value, divisor);
    }
    return BigInt(divisor);
  }
  let divisor = 0n;
  for (let i = 0; i < values.length && divisor !== 1n; i++) {
    divisor = gcdBig(values[i] as bigint, divisor);
  }
  return divisor;
}
