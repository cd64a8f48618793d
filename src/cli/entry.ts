import { main } from './main.ts';

// The exit code is set rather than forced, so that what was written to the terminal arrives.
const code = await main(process.argv.slice(2));
process.exitCode = code;
// A command that failed half-way may leave a timer or a connection behind that would keep it alive for ever.
if (code !== 0) process.stdout.write('', () => process.stderr.write('', () => process.exit(code)));
