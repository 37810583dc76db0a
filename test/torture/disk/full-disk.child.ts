/**
 * Fills and frees a disk again and again, behind the shim: full-disk.child.ts ROOT BOOK SEED FROM TO.
 * The cycles FROM to TO go on from the client's book in the file BOOK, with whatever room the shim
 * began with. Tells each thing that happened as a line of JSON; ends by SIGKILL where a cycle asks
 * for it, which its parent answers with another start.
 */
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERRORS, TephraError } from '../../../src/base/errors.ts';
import { Dice } from '../../model/dice.ts';
import { setRoom } from './shim.ts';
import { complaintsOf, markerPush, newBook, pauseMs, Server, type Book } from './workload.ts';

const MIB = 1024 * 1024;
/** More than the logs of one cycle, and little to write. */
const BALLAST_BYTES = 2 * MIB;
const PLENTY = 1024 * MIB;
/** Pushes that fill the last room, and attempts of one that is told to come again. */
const FILL_MAX = 400;
const ATTEMPTS_MAX = 200;
/** Within the 64 KiB that LevelDB's log and its tables take in a cycle, so that any of them is the last. */
const LAST_ROOM_BYTES = 60_000;

const [path = '', bookFile = '', seed = '1', from = '1', to = '1'] = process.argv.slice(2);
const count = (what: string, times = 1): void =>
  void process.stdout.write(`${JSON.stringify({ what, times })}\n`);
let cycle = Number(from);
const complain = (text: string): void =>
  void process.stdout.write(`${JSON.stringify({ complaint: `cycle ${cycle}: ${text}` })}\n`);

/** A push as it was sent: sent again, it must be the same, byte for byte. */
interface Sent {
  readonly id: number;
  readonly startMs: number;
}

const awake = setInterval(() => {}, 1_000);
/** Pushes that were refused and are to be sent again. */
const pending: Sent[] = [];
const book = readBook();
let server: Server | undefined;
// What the last process left behind: the disk as it was, and none of its memory.
let isFull = process.env['TORTURE_ROOM'] === '0';
if (isFull) {
  server = await startAtZero(true);
  await checkFull('after a kill');
}
for (; cycle <= Number(to); cycle++) {
  const dice = new Dice(Number(seed) * 1_000 + cycle);
  if (isFull) await giveRoom();
  server ??= await Server.open(path, book, { ballastBytes: BALLAST_BYTES });
  await server.tend();
  if (ballastBytes() !== BALLAST_BYTES) complain(`the ballast has ${ballastBytes()} bytes`);
  for (let i = dice.whole(2, 5); i > 0; i--) await pushUntilStored();
  if (dice.chance(40)) await jobs(dice);
  const isLate = dice.chance(40);
  if (isLate) count('full at fsync only');
  setRoom(dice.whole(0, LAST_ROOM_BYTES), isLate);
  isFull = true;
  if (dice.chance(30)) await jobs(dice);
  await fill();
  // What other programs left free they take too.
  setRoom(0, isLate);
  if (dice.chance(50)) await jobs(dice);
  await checkFull('full');
  await end(dice.weighted({ resume: 40, stop: 25, start: 20, kill: 15 }));
  count('cycles');
}
if (isFull) await giveRoom();
server ??= await Server.open(path, book);
await checkAnswer('at the end');
await server.close();
saveBook();
clearInterval(awake);

/** Pushes until the disk takes no more, and then some. */
async function fill(): Promise<void> {
  let refused = 0;
  for (let i = 0; i < FILL_MAX && refused < 3; i++) {
    const sent = fresh();
    if (await pushOnce(sent)) {
      if (refused > 0) complain(`push ${sent.id} was taken on a full disk`);
    } else {
      refused++;
      pending.push(sent);
    }
  }
  if (refused === 0) complain(`${FILL_MAX} pushes fit into ${LAST_ROOM_BYTES} bytes`);
}

/** One attempt on a full disk; what is refused must be refused as such. */
async function pushOnce({ id, startMs }: Sent): Promise<boolean> {
  const outcome = await server?.push(markerPush(id, startMs, book.nowMs));
  if (outcome?.outcome === 'stored' || outcome?.outcome === 'duplicate') {
    book.acknowledged.add(id);
    count('acknowledged');
    return true;
  }
  count('refused');
  const error = outcome?.outcome === 'refused' ? outcome.error : undefined;
  if (error?.reason !== 'storage_full') complain(`push ${id}: ${JSON.stringify(outcome)}`);
  return false;
}

/** While nothing is free: reads go on, pushes are told to come again, and keep being told. */
async function checkFull(when: string): Promise<void> {
  await checkAnswer(when);
  for (let i = 0; i < 2; i++) {
    const sent = fresh();
    if (await pushOnce(sent)) complain(`push ${sent.id} was taken ${when}`);
    pending.push(sent);
  }
  await checkAnswer(when);
}

async function end(how: 'resume' | 'stop' | 'start' | 'kill'): Promise<void> {
  switch (how) {
    case 'resume':
      count('resumed without a restart');
      await giveRoom();
      return;
    case 'stop': {
      // On the room of the ballast, which then is left for the next start.
      await server?.close().catch((error: unknown) => complain(`close: ${String(error)}`));
      count('clean ends while full');
      server = await startAtZero(false);
      await checkFull('after a restart');
      await giveRoom();
      return;
    }
    case 'start':
      await giveRoom();
      await server?.tend();
      await server?.close();
      setRoom(0);
      isFull = true;
      server = await startAtZero(true);
      await checkFull('after a start at zero');
      await giveRoom();
      return;
    case 'kill':
      count('cycles');
      count('kills while full');
      saveBook();
      process.kill(process.pid, 'SIGKILL');
      await new Promise(() => {});
  }
}

/** A start with nothing free but what the ballast or the end before left. */
async function startAtZero(hasBallast: boolean): Promise<Server> {
  if (hasBallast && ballastBytes() === 0) complain('there is no ballast at a start at zero');
  count('starts at zero');
  return Server.open(path, book, { ballastBytes: BALLAST_BYTES });
}

/** Room returns: what was refused is sent again and stored, by the same process. */
async function giveRoom(): Promise<void> {
  setRoom(PLENTY);
  isFull = false;
  server ??= await Server.open(path, book, { ballastBytes: BALLAST_BYTES });
  for (const sent of pending.splice(0)) await push(sent);
  await pushUntilStored();
  await checkAnswer('with room again');
}

async function pushUntilStored(): Promise<void> {
  await push(fresh());
}

function fresh(): Sent {
  const sent = { id: book.sent.size, startMs: book.nowMs };
  book.sent.add(sent.id);
  return sent;
}

async function push({ id, startMs }: Sent): Promise<void> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const outcome = await server?.push(markerPush(id, startMs, book.nowMs));
    if (outcome?.outcome === 'stored' || outcome?.outcome === 'duplicate') {
      book.acknowledged.add(id);
      count('acknowledged');
      return;
    }
    const error = outcome?.outcome === 'refused' ? outcome.error : undefined;
    if (error === undefined || !ERRORS[error.reason].retry) break;
    await pauseMs(4);
  }
  complain(`push ${id} is not taken though there is room`);
}

/** Absorb, roll and the rest, at a time when hours have closed; on a full disk they may only fail. */
async function jobs(dice: Dice): Promise<void> {
  book.nowMs += dice.whole(1, 200) * 60_000;
  try {
    await server?.runJobs(book.nowMs);
  } catch (error) {
    const { reason, message } = TephraError.from(error);
    if (!isFull || !ERRORS[reason].retry) complain(`jobs: ${message}`);
  }
}

async function checkAnswer(when: string): Promise<void> {
  count('questions');
  try {
    const answer = await (server as Server).ask();
    for (const text of complaintsOf(answer, book, new Set(book.acknowledged))) {
      complain(`${when}: ${text}`);
    }
  } catch (error) {
    complain(`${when}: ${String(error)}`);
  }
}

function ballastBytes(): number {
  return statSync(join(path, 'ballast'), { throwIfNoEntry: false })?.size ?? 0;
}

function saveBook(): void {
  const text = {
    sent: book.sent.size,
    acknowledged: [...book.acknowledged],
    nowMs: book.nowMs,
    pending,
  };
  writeFileSync(bookFile, JSON.stringify(text));
}

function readBook(): Book {
  try {
    const saved = JSON.parse(readFileSync(bookFile, 'utf8')) as {
      sent: number;
      acknowledged: number[];
      nowMs: number;
      pending: Sent[];
    };
    pending.push(...saved.pending);
    return {
      sent: new Set(Array.from({ length: saved.sent }, (_, id) => id)),
      acknowledged: new Set(saved.acknowledged),
      nowMs: saved.nowMs,
    };
  } catch {
    return newBook();
  }
}
