import { kill } from './kill/campaign.ts';
import { shortForm } from './short-form.ts';

shortForm(kill);
