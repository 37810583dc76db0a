/** `tephradb/client`: push profiles to a server, and ask it. See docs/client.md. */
export { connect, TephraClient } from './client.ts';
export type { CallOptions } from './caller.ts';
export { TephraClientError } from './error.ts';
export type { ConnectOptions, TlsOptions } from './transport.ts';
export type { Answer, Exactness, Mean } from './exactness.ts';
export type { CallNode } from './call-tree.ts';
export type { PlainFrame, PlainProfile, ValueType } from './plain.ts';
export type { FileProfile } from './ingest.ts';
export type { PushProfile, PushResult } from './push.ts';
export type {
  QuerierAnswer,
  QuerierClient,
  QuerierDiff,
  QuerierFlameGraph,
  QuerierLabels,
  QuerierProfile,
  QuerierSelection,
  QuerierSeries,
} from './querier.ts';
export type {
  LabelsSelection,
  NodeOptions,
  Selection,
  SeriesOptions,
  Time,
  TimeRange,
} from './selection.ts';
export type {
  DiffAnswer,
  DiffFlameGraph,
  DotAnswer,
  FlameGraph,
  FlameGraphAnswer,
  LabelsAnswer,
  NodeChunk,
  NodesAnswer,
  PprofAnswer,
  SeriesAnswer,
  SeriesPoint,
  Stats,
  TopAnswer,
  TreeAnswer,
} from './answers.ts';
export type {
  SampleStream,
  SettledBatch,
  StreamLog,
  StreamOptions,
  StreamStats,
} from './stream/stream.ts';
export type { SamplePart, SpanRun } from './stream/part.ts';
export type { Family, FamilyType, SampleTables } from './stream/tables.ts';
