/** What /version says. The Kubernetes release whose API is served, with Keelson's own version after the plus. */
export const kubernetesMinor = 34;
export const keelsonVersion = '0.1.0';

export const versionInfo = {
  major: '1',
  minor: String(kubernetesMinor),
  emulationMajor: '1',
  emulationMinor: String(kubernetesMinor),
  minCompatibilityMajor: '1',
  minCompatibilityMinor: String(kubernetesMinor - 1),
  gitVersion: `v1.${kubernetesMinor}.0+keelson.${keelsonVersion}`,
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
};
