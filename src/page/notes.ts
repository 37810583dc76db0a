import { formatValue } from './format.ts';

/** `tephra.v1.Exactness` as JSON has it: whole numbers are text, 0 and false are missing. */
export interface Exactness {
  readonly exact?: boolean;
  readonly total?: string;
  readonly profiles?: string;
  readonly foldedValue?: string;
  readonly truncatedValue?: string;
  readonly damagedValue?: string;
  readonly wholeMinutes?: string;
  readonly edgeAddedValue?: string;
  readonly edgeDroppedValue?: string;
  readonly cutLabelsValue?: string;
  readonly unreadProfiles?: string;
  readonly damagedSections?: string;
  readonly lostMinutes?: string;
  readonly lostParts?: string;
  readonly saturated?: boolean;
}

/** What an answer says about itself, one sentence for each loss; empty where there is none. */
export function notesOf(record: Exactness, unit: string): string[] {
  const notes: string[] = [];
  const value = (text: string | undefined): string => formatValue(Number(text ?? 0), unit);
  const has = (text: string | undefined): boolean => text !== undefined && text !== '0';
  if (has(record.wholeMinutes)) {
    notes.push(
      `${record.wholeMinutes} min at the edges count whole or not at all, their single profiles are gone: ` +
        `${value(record.edgeAddedValue)} too much, ${value(record.edgeDroppedValue)} too little.`,
    );
  }
  if (has(record.damagedValue)) {
    notes.push(`${value(record.damagedValue)} stand under (damaged): their stacks cannot be read.`);
  }
  if (has(record.lostMinutes)) {
    notes.push(`${record.lostMinutes} min are damaged so that not even their sums can be told.`);
  }
  if (has(record.lostParts)) {
    notes.push(`${record.lostParts} stored parts are damaged, missing or set aside.`);
  }
  if (has(record.cutLabelsValue)) {
    notes.push(
      `${value(record.cutLabelsValue)} lost the labels of their samples: there were too many sets.`,
    );
  }
  if (has(record.unreadProfiles)) {
    notes.push(`${record.unreadProfiles} profiles could not be looked into: they are too old.`);
  }
  if (record.saturated === true) notes.push('A value passed the largest whole number and was cut.');
  if (has(record.truncatedValue)) {
    notes.push(
      `${value(record.truncatedValue)} stand under (truncated): their stacks came too deep.`,
    );
  }
  if (has(record.foldedValue)) {
    notes.push(`${value(record.foldedValue)} of small nodes are folded into “other”.`);
  }
  return notes;
}
