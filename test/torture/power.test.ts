import { power } from './disk/power.ts';
import { shortForm } from './short-form.ts';

shortForm(power);
