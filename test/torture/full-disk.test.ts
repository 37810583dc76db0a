import { fullDisk } from './disk/full-disk.ts';
import { shortForm } from './short-form.ts';

shortForm(fullDisk, 180_000);
