import { expect, test } from '@jest/globals';
import type { Campaign } from './campaign.ts';

/** The short form of a campaign as a test of the default suite; `long` forms run by `npm run torture`. */
export function shortForm(campaign: Campaign, timeoutMs = 180_000): void {
  test(
    `${campaign.name}: ${campaign.what}`,
    async () => {
      const tell = (line: string): void => void process.stdout.write(`${line}\n`);
      const report = await campaign.run({
        seeds: campaign.short,
        long: false,
        failuresMax: 10,
        tell,
      });
      if (report.skipped !== undefined) {
        tell(`  torture ${campaign.name} skipped: ${report.skipped}`);
        return;
      }
      const figures = Object.entries(report.figures).map(([what, count]) => `${count} ${what}`);
      tell(`  torture ${campaign.name}: ${figures.join(', ')}`);
      expect(report.failures).toEqual([]);
    },
    timeoutMs,
  );
}
