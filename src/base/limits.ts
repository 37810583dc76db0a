/**
 * Every limit of the engine, with its unit and its reason. Sizes are bytes unless the name says
 * otherwise. Configuration may override those that operators tune; the rest are the format's.
 */
const KIB = 1024;
const MIB = 1024 * KIB;

/** Defaults of all limits. */
export const LIMITS = {
  /** Shards of a period; recorded in the partition's name. */
  shardCount: 16,

  /** Bytes of a request body on the wire. */
  bodyBytesMax: 64 * MIB,
  /** Bytes of one profile after decompression. */
  profileBytesMax: 64 * MIB,
  samplesPerProfileMax: 1_000_000,
  /** Frames of a stack that are kept, at the leaf side; the rest becomes one `(truncated)` frame. */
  stackDepthKept: 1_024,
  /** Frames of a stack above which the profile is refused. */
  stackDepthMax: 65_536,
  /** Frames of all stacks together: what a reader takes for them is four bytes each. */
  framesPerProfileMax: 16_000_000,
  stringsPerProfileMax: 1_000_000,
  /** Bytes of a symbol that are kept. */
  stringBytesKept: 65_535,
  functionsPerProfileMax: 1_000_000,
  locationsPerProfileMax: 1_000_000,
  linesPerLocationMax: 1_024,
  /** Lines of all locations together: bounds the memory of a profile of empty lines. */
  linesPerProfileMax: 4_000_000,
  mappingsPerProfileMax: 65_536,
  /** Value columns of a profile; the richest known senders have fewer than ten. */
  sampleTypesPerProfileMax: 64,
  /** Bytes of a line that a tool prints, and of one of its stacks, about. */
  stackLineBytesMax: 1 * MIB,
  /** Fields that the reader does not know; a legal profile of the future has a few. */
  unknownFieldsMax: 65_536,
  labelsPerSampleMax: 100,
  /** Distinct sets of string labels into which one push may split. */
  labelSetsPerPushMax: 1_000,

  /** Profiles of one OTLP request, those of different services in one profile counted each. */
  otlpProfilesMax: 65_536,
  /** Rows of its tables that a profile of its own does not have: stacks, attributes, links. */
  otlpRowsMax: 1_000_000,
  /** Bytes of pprof into which all OTLP requests under way are split, and so at most one of them. */
  otlpSplitBytes: 48 * MIB,
  /** Levels of lists and maps in the value of an attribute. */
  otlpValueDepthMax: 32,
  /** Times that the dictionary of a request may come; senders write it once. */
  otlpDictionariesMax: 16,

  labelsPerSeriesMax: 64,
  labelNameBytesMax: 1_024,
  labelValueBytesMax: 2_048,
  seriesPerTenantDayMax: 50_000,

  /** How far in the future a profile may lie. */
  futureMs: 10 * 60_000,
  /** Retention of the raw tier, from arrival. */
  rawRetentionMs: 24 * 3_600_000,
  /** Retention of the minutes, and so how old a profile may be when it arrives. */
  minutesRetentionMs: 31 * 86_400_000,

  /** A flush closes at this size ... */
  flushBytes: 1 * MIB,
  /** ... or this age. */
  flushLingerMs: 5,
  /** A store that does not tell for so long whether a failed put landed: its shard's pushes are refused. */
  doubtWaitMs: 2_000,
  /** At the end, what is under way is waited for no longer: a store that hangs would hold it for ever. */
  stopWaitMs: 10_000,
  /** Absorb starts at this many unabsorbed bytes of a partition ... */
  absorbBytes: 8 * MIB,
  /** ... or this many fragments. */
  absorbFragments: 512,
  /** Absorb and roll of an hour wait this long after it closed. */
  hourCloseDelayMs: 2 * 60_000,
  /** Late data is absorbed and rolled at most this often. */
  lateIntervalMs: 10 * 60_000,
  /** Unrolled blocks of one hour that absorb leaves standing; more are merged into its new block. */
  unrolledBlocksPerHourMax: 8,
  /** Bytes of a segment of dictionaries after which another is begun; well under the largest blob. */
  segmentBytes: 32 * MIB,
  /** What is in the trash is removed after this time; no query may run longer. */
  graceMs: 15 * 60_000,
  stacksPerEpochMax: 1_000_000,

  /** Keys, blobs and roots of a BlobStore. */
  keyBytesMax: 512,
  blobBytesMax: 64 * MIB,
  rootBytesMax: 64 * KIB,

  /** Bytes of one sync batch of a volume: larger ones make the small writes beside them wait. */
  storeBatchBytes: 4 * MIB,
  /** Bytes that may wait for a volume's next sync batch; LevelDB has no limit of its own. */
  storeQueueBytes: 128 * MIB,
  /** LevelDB's write buffer: for the raw volume that takes the fragments, ... */
  rawBufferBytes: 16 * MIB,
  /** ... for others that are written these days, ... */
  volumeBufferBytes: 4 * MIB,
  /** ... and for closed days: all that may be open with theirs full are 64 MB. */
  closedBufferBytes: 1 * MIB,
  /**
   * Volumes that stay open; the least recently used one closes first. One that is read costs 0.1 MB and 4 files,
   * and 2 to 4 ms of CPU to open: a range of two months opens each day once.
   */
  volumesOpenMax: 64,
  /** An unused volume that is not hot closes after this time. */
  volumeIdleMs: 5 * 60_000,
  /** Bytes of blobs that LevelDB writes anew at a time; until then it cannot empty a write buffer. */
  compactRangeBytes: 64 * MIB,
  /** How long a drop waits for operations that still use the volume. */
  volumeDropWaitMs: 30_000,
  /** Aborts of the process on one volume within this time are suspicious. */
  strikeWindowMs: 10 * 60_000,
  /** After the disk was full, writes start again at this much space: two logs and their tables. */
  diskFreeBytesMin: 64 * MIB,

  /** Room kept for opening and ending on a full disk: two logs of the hot volumes and a table. */
  ballastBytes: 64 * MIB,
  /** Bytes a second that the scrub reads: a volume of a day in about an hour. */
  scrubBytesPerSecond: 1 * MIB,

  /** Budgets of memory: all workers together. */
  dictionaryBytes: 256 * MIB,
  headBytes: 64 * MIB,
  duplicateSetBytes: 64 * MIB,
  pageCacheBytes: 64 * MIB,
  /** Roots of days: 1 to 3 KB each for 31 days of 16 shards, with what they grow to. */
  rootCacheBytes: 4 * MIB,
  inFlightBytes: 64 * MIB,
  queryBytes: 256 * MIB,

  /** Credits taken for a request that does not say its size, until the size is known. */
  unsizedRequestBytes: 256 * KIB,
  /** Wait for room in flight before a push is refused. */
  inFlightWaitMs: 2_000,
  /**
   * While more waits to be absorbed than this, or one durable write of pushes in a hundred takes longer,
   * what may be in flight is halved each second ...
   */
  unabsorbedBytesMax: 256 * MIB,
  writeP99MsMax: 1_000,
  /** ... down to this. */
  inFlightBytesMin: 1 * MIB,
  queryTimeoutMs: 30_000,

  /** The port: how long a socket may take to show its protocol ... */
  prefaceTimeoutMs: 5_000,
  /** ... an HTTP/1.1 request its headers ... */
  headersTimeoutMs: 10_000,
  /** ... and the whole request; then 408. */
  requestTimeoutMs: 30_000,
  /** Idle HTTP/1.1 connections are kept longer than load balancers keep theirs (60 s). */
  keepAliveTimeoutMs: 65_000,
  /** A socket over which nothing moved in either direction; longer than any query may take. */
  socketIdleTimeoutMs: 120_000,
  /** A TLS handshake. */
  handshakeTimeoutMs: 10_000,
  /** An HTTP/2 stream over which nothing moved: a body that stops, an answer that nobody reads. */
  streamStallMs: 60_000,
  /** The longest life of an HTTP/2 stream with a single answer, at whatever pace it is read. */
  streamLifeMs: 10 * 60_000,
  /** An HTTP/2 connection is pinged at this interval and ended if no answer comes in time. */
  pingIntervalMs: 60_000,
  pingTimeoutMs: 20_000,
  /** An HTTP/2 connection without a stream, and one of any kind (then its streams may still end). */
  connectionIdleMs: 5 * 60_000,
  connectionAgeMs: 30 * 60_000,
  connectionAgeGraceMs: 60_000,
  /** Sockets at once, and those of one address. */
  connectionsMax: 1_024,
  connectionsPerAddressMax: 256,
  /** New sockets of one address in a second; twice as many at the first. */
  connectionRateMax: 200,
  headerBytesMax: 16 * KIB,
  headersMax: 100,
  urlBytesMax: 8 * KIB,
  /** Levels of braces and brackets in a JSON body; no message has ten. */
  jsonDepthMax: 64,
  /** Fields of a request, values of a JSON one: each may become an object of some hundred bytes. */
  requestFieldsMax: 262_144,
  /** Bytes of answers that clients have not taken yet; a query waits for room, then is refused. */
  answerBytes: 256 * MIB,
  /** An answer that grows beyond this while it is encoded goes to disk, and not to memory, ... */
  spilledAnswerBytes: 4 * MIB,
  /** ... in slices of this size, ... */
  answerSliceBytes: 1 * MIB,
  /** ... up to this: protobuf's own limit is 2 GiB. All together may have `answerBytes` there. */
  answerFileBytesMax: 2_048 * MIB - 1,
  /** An answer on disk that nobody reads for this long is given up, should all else have forgotten it. */
  answerFileIdleMs: 120_000,
  /** Answers leave this much of the disk free: a query must never be what stops pushes. */
  answerDiskFreeBytesMin: 256 * MIB,
  /** An answer must be taken within this time and what its bytes need at the rate below. */
  answerGraceMs: 30_000,
  answerBytesPerSecondMin: 64 * KIB,
  /** Of these, what a query takes before the size of its answer is known. */
  unsizedAnswerBytes: 256 * KIB,
  /** A reader that takes nothing, or less than a slice (256 KiB), for this long is cut off. */
  answerStallMs: 20_000,
  /** A client may take so long to end its side of an HTTP/2 stream that was answered in full. */
  streamHalfClosedMs: 1_000,
  /** Of these, those of one address: one that does not read must not keep the others from asking ... */
  answerBytesPerAddressMax: 64 * MIB,
  /** ... and queries of one address that run, wait, or are not taken yet: dashboards of one Grafana that open at once. */
  queriesPerAddressMax: 128,
  /** Of these, those that run; less than `queriesAtOnce`, so that another address need not wait for all. */
  queriesPerAddressAtOnce: 3,
  /** A body may come in so many pieces; beyond, they must have so many bytes on average. */
  tinyPiecesMax: 4_096,
  pieceBytesMin: 64,
  /** Answers from this on are written from the bytes they came in, in slices, never copied whole. */
  slicedAnswerBytes: 1 * MIB,
  /** JSON answers from so many bytes on (as protobuf) are written piece by piece as they are read. */
  slicedJsonBytes: 64 * KIB,
  /** Answers smaller than this are not worth compressing. */
  compressBytesMin: 1 * KIB,
  /** Bytes of a refused body that are read and dropped, so that the client sees the answer. */
  discardBytesMax: 16 * MIB,
  queryParametersMax: 100,
  /** Open streams of one HTTP/2 connection. */
  streamsPerConnectionMax: 100,
  /** Streams that a connection may reset at once, and a second from then on; then it is ended. */
  streamResetsMax: 100,
  streamResetsPerSecond: 20,
  /** The same of all connections of an address; then they are ended, and new ones are not read ... */
  streamResetsPerAddressMax: 1_000,
  streamResetsPerAddressPerSecond: 200,
  /** ... for so long, and then closed. */
  resetWaitMs: 5_000,
  /** Open streams of all connections (each costs about 18 KB), and of those of one address. */
  streamsMax: 4_096,
  streamsPerAddressMax: 2_048,

  /** Streams of samples. Bytes of one message: an agent's batch has a few KiB. */
  streamMessageBytesMax: 4 * MIB,
  /** Rows of one epoch: a process has some 10,000 frames and 50,000 prefixes of stacks. */
  streamStringsMax: 262_144,
  streamFramesMax: 262_144,
  streamStacksMax: 262_144,
  streamSeriesMax: 4_096,
  /** Bytes of all strings of an epoch. */
  streamTextBytesMax: 16 * MIB,
  /** Parts and entries of one batch. Fewer parts than the bits of a push key have room for. */
  streamPartsMax: 4_096,
  streamEntriesMax: 1_000_000,
  /** Bytes of the agent's name. */
  streamAgentBytesMax: 256,
  /** Bytes of the id of a part. */
  streamProfileIdBytesMax: 256,
  /** What an agent may have sent and not seen settled: at rest, and while much is in flight. */
  streamWindowBatches: 512,
  streamWindowBytes: 4 * MIB,
  streamBusyWindowBatches: 16,
  streamBusyWindowBytes: 256 * KIB,
  /** Sequences between first and last of `open`: each is looked up after a restart. */
  streamUnsettledMax: 1_024,
  /** Bytes of the tables of all streams, all workers together; the least recently used go first. */
  streamStateBytes: 128 * MIB,
  /** Streams that a worker knows, with or without a call; each costs about 2 KB with a call. */
  streamsKnownMax: 16_384,
  /** Tables of a stream that sends nothing are forgotten after this time. */
  streamIdleMs: 5 * 60_000,
  /** A call without a message: until `open`, within a message, and after it. */
  streamOpenTimeoutMs: 10_000,
  streamMessageTimeoutMs: 30_000,
  streamSilenceMs: 15 * 60_000,
  /** From the status of a call until it is cut, if its client neither reads it nor leaves. */
  streamEndMs: 30_000,
  /** Refused batches that one ack lists. */
  streamRefusalsMax: 64,
  /** Large buffers of bundles that are kept for the next ones: a few of 1 MiB are under way at once. */
  streamSpareBytes: 4 * MIB,
  /** Bytes of messages that have begun and not ended, all streams together. */
  streamPartialBytes: 64 * MIB,
  /** Bytes of fragments that one query reads for single profiles, spans and traces, per worker. */
  rawQueryBytes: 512 * MIB,
  queryReadRepeatsMax: 3,
  /** Queries that run at once; the others wait. */
  queriesAtOnce: 4,
  /** Queries that wait for a place; more are refused, each holds a request open. */
  queriesWaitingMax: 256,
  flameGraphNodesDefault: 8_192,
  flameGraphNodesMax: 1_048_576,
  pointsPerSeriesMax: 11_000,
  /** Trees of one worker that clients read in chunks; each is held until it is read. */
  openTreesMax: 16,
  /** Bytes of one chunk of a tree, about. */
  treeChunkBytes: 256 * KIB,
  /** Time after which a tree whose reader does not come back is forgotten. */
  openTreeIdleMs: 60_000,
  /** Functions of a graph for people, unless a query says otherwise. */
  dotNodesDefault: 100,
  /** Ids of profiles, spans or traces in one query. */
  idsPerQueryMax: 1_000,
  /** Function names of a call site. */
  callSiteFramesMax: 1_024,
  /** Exemplars that one host looks up for a timeline, the largest first. */
  exemplarsMax: 2_000,
  selectorBytesMax: 8 * KIB,
  matchersMax: 100,
  regexBytesMax: 512,
  /** Instructions of a compiled pattern, at worst 0.1 ms each on the longest label value; a pattern
   * that repeats nothing stays below, whatever it is. */
  regexInstructionsMax: 600,
  /** Compiled patterns that are kept, per thread. */
  regexesCachedMax: 1_000,
  /** Longest slice of work in a worker before it yields. */
  sliceMs: 5,
} as const;
