/** Rules that names and labels keep, with upstream's sentences for those that do not. Every function returns problems. */

const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
const subdomain = `${label}(\\.${label})*`;
const label1035 = '[a-z]([-a-z0-9]*[a-z0-9])?';
const qualified = '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]';
const labelValue = `(${qualified})?`;
const environmentName = '[-._a-zA-Z][-._a-zA-Z0-9]*';
const configKey = '[-._a-zA-Z0-9]+';

const labelLengthMax = 63;
const subdomainLengthMax = 253;

const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`);
const patterns = {
  label: whole(label),
  subdomain: whole(subdomain),
  label1035: whole(label1035),
  qualified: whole(qualified),
  labelValue: whole(labelValue),
  environmentName: whole(environmentName),
  configKey: whole(configKey),
};

function lengthProblem(text: string, lengthMax: number): string[] {
  return text.length > lengthMax ? [`must be no more than ${lengthMax} characters`] : [];
}

export function labelProblems(text: string): string[] {
  const problems = lengthProblem(text, labelLengthMax);
  if (!patterns.label.test(text)) {
    problems.push(
      `a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '${label}')`,
    );
  }
  return problems;
}

export function subdomainProblems(text: string): string[] {
  const problems = lengthProblem(text, subdomainLengthMax);
  if (!patterns.subdomain.test(text)) {
    problems.push(
      `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '${subdomain}')`,
    );
  }
  return problems;
}

/** Names of Services: they become DNS labels that start with a letter. */
export function serviceNameProblems(text: string): string[] {
  const problems = lengthProblem(text, labelLengthMax);
  if (!patterns.label1035.test(text)) {
    problems.push(
      `a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '${label1035}')`,
    );
  }
  return problems;
}

/** Names that only have to fit into one segment of a path: roles and bindings. */
export function pathSegmentProblems(text: string): string[] {
  if (text === '.' || text === '..') return [`may not be '${text}'`];
  return ['/', '%'].filter((char) => text.includes(char)).map((char) => `may not contain '${char}'`);
}

export function qualifiedNameProblems(text: string): string[] {
  const parts = text.split('/');
  const name = parts.at(-1) ?? '';
  const nameText = `must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '${qualified}')`;
  if (parts.length > 2) {
    return [`a qualified name ${nameText} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`];
  }
  const problems: string[] = [];
  const prefix = parts.length === 2 ? (parts[0] ?? '') : undefined;
  if (prefix === '') problems.push('prefix part must be non-empty');
  else if (prefix !== undefined) problems.push(...subdomainProblems(prefix).map((problem) => `prefix part ${problem}`));
  if (name === '') problems.push('name part must be non-empty');
  else problems.push(...lengthProblem(name, labelLengthMax).map((problem) => `name part ${problem}`));
  if (!patterns.qualified.test(name)) problems.push(`name part ${nameText}`);
  return problems;
}

export function labelValueProblems(text: string): string[] {
  const problems = lengthProblem(text, labelLengthMax);
  if (!patterns.labelValue.test(text)) {
    problems.push(
      `a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '${labelValue}')`,
    );
  }
  return problems;
}

export function configKeyProblems(text: string): string[] {
  const problems = lengthProblem(text, subdomainLengthMax);
  if (!patterns.configKey.test(text)) {
    problems.push(
      `a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '${configKey}')`,
    );
  }
  if (text === '.' || text === '..') problems.push(`may not be '${text}'`);
  else if (text.startsWith('..')) problems.push("may not start with '..'");
  return problems;
}

/** Names of environment variables: anything printable but `=`. */
export function environmentNameProblems(text: string): string[] {
  if (text === '') return ['environment variable name must not be empty'];
  // From the space to the tilde, without the sign between `<` and `>`.
  return /[^ -<>-~]/.test(text)
    ? ["a valid environment variable name must consist only of printable ASCII characters other than '='"]
    : [];
}

/** Names of ports in pods: they are IANA service names. */
export function portNameProblems(text: string): string[] {
  const problems: string[] = [];
  if (text.length > 15) problems.push('must be no more than 15 characters');
  if (!/^[-a-z0-9]+$/.test(text))
    problems.push('must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)');
  if (!/[a-z]/.test(text)) problems.push('must contain at least one letter (a-z)');
  if (text.includes('--')) problems.push('must not contain consecutive hyphens');
  if (text.startsWith('-') || text.endsWith('-')) problems.push('must not begin or end with a hyphen');
  return problems;
}

export function portNumberProblems(port: number): string[] {
  return Number.isInteger(port) && port >= 1 && port <= 65535 ? [] : ['must be between 1 and 65535, inclusive'];
}
