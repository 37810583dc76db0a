/** Entry of a worker thread of a server that profiles itself: the shards', and an agent beside them. */
import { joinSelfProfile } from './agent/self.ts';

await import('./shards/worker.ts');
joinSelfProfile();
