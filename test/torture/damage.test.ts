import { damage } from './damage/campaign.ts';
import { shortForm } from './short-form.ts';

shortForm(damage);
