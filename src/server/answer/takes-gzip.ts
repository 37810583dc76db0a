/** Whether an Accept-Encoding names gzip, and does not refuse it by a weight of 0 (RFC 9110, 12.5.3). */
export function takesGzip(acceptEncoding: string | undefined): boolean {
  const found = /(?:^|,)\s*gzip\s*(?:;\s*q=([\d.]*)\s*)?(?:,|$)/i.exec(acceptEncoding ?? '');
  return found !== null && Number(found[1] ?? 1) > 0;
}
