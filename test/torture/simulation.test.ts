import { shortForm } from './short-form.ts';
import { simulation } from './simulation/campaign.ts';

shortForm(simulation);
