import { faults } from './disk/faults.ts';
import { shortForm } from './short-form.ts';

shortForm(faults);
