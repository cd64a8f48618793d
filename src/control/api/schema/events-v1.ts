/** Messages of the API group version events.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const eventsV1: MessageTable = {
  prefix: 'io.k8s.api.events.v1',
  group: 'events.k8s.io',
  version: 'v1',
  messages: `
Event kind
  metadata 1 meta.ObjectMeta
  eventTime 2 microTime required
  series 3 *EventSeries
  reportingController 4 string
  reportingInstance 5 string
  action 6 string
  reason 7 string
  regarding 8 core.ObjectReference
  related 9 *core.ObjectReference
  note 10 string
  type 11 string
  deprecatedSource 12 core.EventSource
  deprecatedFirstTimestamp 13 time
  deprecatedLastTimestamp 14 time
  deprecatedCount 15 int32

EventList kind
  metadata 1 meta.ListMeta
  items 2 []Event required

EventSeries
  count 1 int32 required
  lastObservedTime 2 microTime required
`,
};
