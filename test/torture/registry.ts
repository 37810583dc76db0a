import type { Campaign } from './campaign.ts';
import { damage } from './damage/campaign.ts';
import { image } from './disk/power-image.ts';
import { kill } from './kill/campaign.ts';
import { faults } from './disk/faults.ts';
import { fullDisk } from './disk/full-disk.ts';
import { planted } from './planted/campaign.ts';
import { power } from './disk/power.ts';
import { simulation } from './simulation/campaign.ts';

/** Every campaign, in the order in which `all` runs them. */
export const CAMPAIGNS: readonly Campaign[] = [
  damage,
  simulation,
  kill,
  power,
  image,
  faults,
  fullDisk,
  planted,
];
