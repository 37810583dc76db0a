import type { ApiCall } from './commands.ts';

/** Why there is no answer, in words for the reader. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
}

/** The address that the page came from, with its prefix, without a slash at the end. */
export function serverUrl(): string {
  return new URL('.', document.baseURI).href.replace(/\/$/, '');
}

/** Asks the server. Rejects with an {@link ApiError}, or as `fetch` does when `signal` fires. */
export async function ask<T>({ method, body }: ApiCall, signal: AbortSignal): Promise<T> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(`${serverUrl()}/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal,
    });
    text = await response.text();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new ApiError('The server does not answer. What is shown is what it said before.');
  }
  if (!response.ok) {
    throw new ApiError(messageOf(text) ?? `The server answered ${response.status}.`);
  }
  return JSON.parse(text) as T;
}

function messageOf(text: string): string | undefined {
  try {
    return (JSON.parse(text) as { message?: string }).message;
  } catch {
    // A proxy in between does not answer in JSON.
    return undefined;
  }
}
