/** Errors of etcd's first API: a number, a text, what it was about, and the HTTP status. */
import { KeelsonError } from '../../env/errors.ts';

const rows = {
  keyNotFound: [100, 404, 'Key not found'],
  compareFailed: [101, 412, 'Compare failed'],
  notFile: [102, 403, 'Not a file'],
  notDirectory: [104, 400, 'Not a directory'],
  keyExists: [105, 412, 'Key already exists'],
  rootReadOnly: [107, 400, 'Root is read only'],
  directoryNotEmpty: [108, 403, 'Directory not empty'],
  unauthorized: [110, 401, 'The request requires user authentication'],
  prevValueRequired: [201, 400, 'PrevValue is Required in POST form'],
  ttlNotNumber: [202, 400, 'The given TTL in POST form is not a number'],
  indexNotNumber: [203, 400, 'The given index in POST form is not a number'],
  invalidField: [209, 400, 'Invalid field'],
  invalidForm: [210, 400, 'Invalid POST form'],
  refreshValue: [211, 400, 'Value provided on refresh'],
  refreshTtlRequired: [212, 400, 'A TTL must be provided on refresh'],
  raftInternal: [300, 500, 'Raft Internal Error'],
  eventIndexCleared: [401, 400, 'The event in requested index is outdated and cleared'],
} as const satisfies Readonly<Record<string, readonly [number, number, string]>>;

export type V2ErrorName = keyof typeof rows;

export class V2Error extends KeelsonError {
  readonly number: number;
  readonly httpStatus: number;
  readonly text: string;
  readonly about: string;

  constructor(name: V2ErrorName, about: string, options?: { cause?: unknown }) {
    const [number, httpStatus, text] = rows[name];
    super(name, `${text}: ${about}`, options);
    this.number = number;
    this.httpStatus = httpStatus;
    this.text = text;
    this.about = about;
  }
}
