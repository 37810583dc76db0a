/**
 * What others were measured at on these loads, each built from source and run on a machine of 2 cores:
 * Pyroscope (source of 2026-08-21, v2 storage, single binary) and Parca (source of 2026-07-27), Go 1.26.
 * Their own figures with `--target` on your machine are worth more.
 */
export const PEERS = {
  'fleet-100': [
    ['ready after start, empty', '47 s', '3 s'],
    ['ingest, CPU a profile', '8.8 - 10.9 ms', '36.9 ms'],
    ['push p50 / p99', '950 / 2,300 - 3,100 ms', '618 / 1,870 ms'],
    ['RSS peak', '1,230 - 1,460 MB', '14,400 MB'],
    ['disk after compaction', '17.8 B an entry', '-'],
    ['merge 1 h x 100 series, p50 / CPU', '820 / 1,620 ms', '35,100 / 63,000 ms'],
    ['diff of its halves, p50 / CPU', '1,010 - 1,080 / 2,000 ms', '-'],
    ['pprof export of it, p50 / CPU', '1,880 / 3,300 ms', '10,000 / 18,700 ms'],
    ['series of it by service, p50 / CPU', '42 / 77 ms', '-'],
    ['merge 1 h x 1 series, p50 / CPU', '43 - 68 / 60 - 107 ms', '-'],
  ],
  'one-30d': [
    ['merge 1 d, p50 / CPU', '125 / 178 ms', '-'],
    ['merge 7 d, p50 / CPU', '570 / 816 ms', '-'],
    ['merge 30 d, p50 / CPU', '1,420 / 2,736 ms', '-'],
    ['diff of the halves of 30 d, p50', '854 ms', '-'],
    ['series 30 d, p50', '51 ms', '-'],
  ],
};
