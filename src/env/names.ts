/** Names of machines and services, as the system's resolver knows them. Every method rejects when nobody can answer. */
export interface Names {
  /** Addresses of a host. */
  addresses(host: string): Promise<readonly string[]>;
  /** Hosts of an address. */
  hosts(address: string): Promise<readonly string[]>;
  /** Records of a service such as `_etcd-server._tcp.example.org`, best priority first. */
  services(name: string): Promise<readonly ServiceRecord[]>;
}

export interface ServiceRecord {
  readonly host: string;
  readonly port: number;
}
