/** Asks for a line in the terminal without showing what is typed. */
const enter = ['\r', '\n'];
const interrupt = '\u0003';
const endOfInput = '\u0004';
const erase = ['\u007f', '\b'];

/** Rejects when the user gives up. Standard input must be a terminal. */
export function askSecret(question: string): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write(question);
  stdin.setRawMode(true);
  stdin.setEncoding('utf8');
  stdin.resume();
  return new Promise((resolve, reject) => {
    let typed: readonly string[] = [];
    const finish = (action: () => void) => {
      stdin.off('data', onData);
      stdin.setRawMode(false);
      stdin.pause();
      stderr.write('\n');
      action();
    };
    const onData = (text: string) => {
      for (const character of text) {
        if (enter.includes(character)) return finish(() => resolve(typed.join('')));
        if (character === interrupt || character === endOfInput) return finish(() => reject(new Error('given up')));
        typed = erase.includes(character) ? typed.slice(0, -1) : [...typed, character];
      }
    };
    stdin.on('data', onData);
  });
}
