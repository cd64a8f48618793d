/** Messages of the API group version discovery.k8s.io/v1. One message a paragraph, one field a line; the notation is explained in notation.ts. */
import type { MessageTable } from './notation.ts';

export const discoveryV1: MessageTable = {
  prefix: 'io.k8s.api.discovery.v1',
  group: 'discovery.k8s.io',
  version: 'v1',
  messages: `
Endpoint
  addresses 1 []string required set
  conditions 2 EndpointConditions
  hostname 3 *string
  targetRef 4 *core.ObjectReference
  deprecatedTopology 5 map[string]
  nodeName 6 *string
  zone 7 *string
  hints 8 *EndpointHints

EndpointConditions
  ready 1 *bool
  serving 2 *bool
  terminating 3 *bool

EndpointHints
  forZones 1 []ForZone atomic
  forNodes 2 []ForNode atomic

EndpointPort atomic
  name 1 *string
  protocol 2 *string enum=SCTP,TCP,UDP
  port 3 *int32
  appProtocol 4 *string

EndpointSlice kind  # Addresses behind a service.
  metadata 1 meta.ObjectMeta
  addressType 4 string required enum=FQDN,IPv4,IPv6
  endpoints 2 []Endpoint required atomic
  ports 3 []EndpointPort keep atomic

EndpointSliceList kind
  metadata 1 meta.ListMeta
  items 2 []EndpointSlice required

ForNode
  name 1 string required

ForZone
  name 1 string required
`,
};
