import type { Matcher } from './matcher.ts';

/**
 * The services that can fulfil the matchers, in byte order, if they pin `service_name` to a list;
 * undefined = any. An empty list means that nothing can match.
 */
export function requiredService(matchers: readonly Matcher[]): string[] | undefined {
  const ofService = matchers.filter(
    ({ name }) => name === 'service_name' || name === '__service_name__',
  );
  const listed = ofService.find(({ values }) => values !== undefined)?.values;
  return listed?.filter((value) => ofService.every((matcher) => matcher.matches(value))).sort();
}
