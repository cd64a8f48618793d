import { main } from './main.ts';

// The exit code is set rather than forced, so that what was written to the terminal arrives.
process.exitCode = await main(process.argv.slice(2));
