/** Why a TLS handshake failed, for the log. */

/** What went wrong in a handshake, in the words that etcd's users know. OpenSSL's own text names files of its source. */
export function handshakeReason(error: Error & { readonly reason?: string; readonly code?: string }): string {
  if (error.code === 'ECONNRESET') return 'EOF';
  const { reason } = error;
  if (reason === undefined) return error.message.replace(/\s+/g, ' ').trim();
  const alert = /\balert (.+)$/.exec(reason);
  if (alert) return `remote error: tls: ${alert[1]}`;
  return reason === 'peer did not return a certificate' ? "tls: client didn't provide a certificate" : `tls: ${reason}`;
}
