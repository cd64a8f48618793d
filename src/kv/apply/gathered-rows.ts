/**
 * What applied entries write, on its way to the backend: whole entries, and with them the index of the last one, in one
 * batch. Within a batch of entries rows wait here; whoever reads the backend asks for it here, and gets it with all of them.
 */
import { assert } from '../../env/assert.ts';
import type { Backend, BackendWrite } from '../backend/contract.ts';
import { type Applied, appliedRow } from './meta-rows.ts';

export class GatheredRows {
  readonly #backend: Backend;
  #rows: BackendWrite[] = [];
  #applied: Applied | undefined;
  /** Bytes of revisions since the last sync began. */
  unsyncedBytes = 0;

  constructor(backend: Backend) {
    this.#backend = backend;
  }

  /** The entry's revisions and what else it changed; they stay together. */
  add(applied: Applied, revisionRows: readonly BackendWrite[], otherRows: readonly BackendWrite[]): void {
    assert(applied.index > (this.#applied?.index ?? 0), 'entries are gathered in order');
    for (const row of revisionRows) {
      this.#rows.push(row);
      if (row.type === 'put') this.unsyncedBytes += row.value.length;
    }
    for (const row of otherRows) this.#rows.push(row);
    this.#applied = applied;
  }

  handOver(): void {
    const applied = this.#applied;
    if (applied === undefined) return;
    this.#applied = undefined;
    this.#rows.push(appliedRow(applied));
    const rows = this.#rows;
    this.#rows = [];
    this.#backend.write(rows);
  }

  /** The backend with everything that was applied. */
  backend(): Backend {
    this.handOver();
    return this.#backend;
  }
}
