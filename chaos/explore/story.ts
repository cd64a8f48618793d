/**
 * A counterexample as a story, and back. A story is taken again from the beginning on cores of its own, none of which is
 * ever rebuilt, so what the search found does not rest on what the search assumes.
 *
 * As text: steps after one another with `; ` between them, such as
 *
 *     1 timeout; 1 sync; 2 gets vote 1>2 term 1 last 0/0; 2 crash 0
 */
import { KeelsonError } from '../../src/env/errors.ts';
import { present } from '../../src/env/assert.ts';
import type { Message } from '../../src/raft/core/types.ts';
import type { Violation } from '../check/violation.ts';
import { AbstractStates } from './abstract-states.ts';
import type { Bounds } from './cluster.ts';
import { Histories } from './histories.ts';
import { asViolation, type Local } from './local-states.ts';
import { emptyDisk } from './disk.ts';
import { ExploredMember, type Input } from './member.ts';
import type { StoryStep } from './search.ts';
import { entriesText, messageText, namingsOf } from './words.ts';

export interface Told {
  /** One line for each step: what happened, how the member looks now, and what it sent. */
  readonly lines: readonly string[];
  /** What the last step broke. */
  readonly violation: Violation | undefined;
}

const inputWords = ['timeout', 'doubt', 'beat', 'propose', 'sync'] as const;

/** Tells the story in one line that parseStory takes. */
export function storyText(story: readonly StoryStep[], members: number): string {
  const [naming] = namingsOf(members);
  const inputText = (input: Input) => {
    if (input.kind === 'deliver') return `gets ${messageText(input.message, present(naming, 'naming'))}`;
    return input.kind === 'crash' ? `crash ${input.kept}` : input.kind;
  };
  return story.map(({ member, input }) => `${member} ${inputText(input)}`).join('; ');
}

/** Takes every step of `text` on new members. Throws KeelsonError when a step is not one, or cannot be taken then. */
export function retell(text: string, bounds: Bounds): Told {
  const teller = new Teller(bounds);
  const lines: string[] = [];
  for (const step of text
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')) {
    try {
      lines.push(`${String(lines.length + 1).padStart(3)}. ${teller.tell(step)}`);
    } catch (error) {
      if (error instanceof KeelsonError) throw error;
      const violation = asViolation(error);
      return {
        lines: [...lines, `${String(lines.length + 1).padStart(3)}. ${step}  ✗ ${violation.message}`],
        violation,
      };
    }
  }
  return { lines, violation: undefined };
}

class Teller {
  readonly #members: readonly ExploredMember[];
  readonly #naming;
  readonly #sent = new Map<string, Message>();
  readonly #histories: Histories;
  #history;
  readonly #abstract: AbstractStates | undefined;
  #knowledge;
  #locals: Local[];
  #localIds = 0;

  constructor(bounds: Bounds) {
    const namings = namingsOf(bounds.members);
    this.#naming = present(namings[0], 'naming');
    this.#members = Array.from({ length: bounds.members }, (_, at) => new ExploredMember(at + 1, bounds, emptyDisk));
    this.#histories = new Histories(namings);
    this.#history = this.#histories.initial();
    this.#locals = this.#members.map((member) => this.#look(member));
    this.#abstract = bounds.refinement ? new AbstractStates(bounds.members) : undefined;
    this.#knowledge = this.#abstract?.initial(this.#locals);
  }

  #look(member: ExploredMember): Local {
    const view = member.core.view();
    const { entries } = member.core.inspectLog();
    const { id, disk, waiting, recordsWaiting } = member;
    const keys = new Int32Array(0);
    return { id: this.#localIds++, member: id, keys, view, entries, disk, waiting, recordsWaiting, isInDoubt: false };
  }

  /** Takes one step and says what came of it. Throws Violation. */
  tell(step: string): string {
    const [, id, words] = /^(\d+) (.*)$/.exec(step) ?? [];
    const member = this.#members[Number(id) - 1];
    if (member === undefined || words === undefined)
      throw bad(
        step,
        `it begins with the number of a member, 1 to ${this.#members.length}, and says what happens to it`,
      );
    const input = this.#inputOf(step, words, member);
    const sent = member.apply(input);
    for (const message of sent) this.#sent.set(messageText(message, this.#naming), message);
    const local = this.#look(member);
    this.#locals = this.#locals.map((other) => (other.member === member.id ? local : other));
    this.#history = this.#histories.after(this.#history, local);
    this.#histories.checkAcross(this.#history, this.#locals, local);
    if (this.#knowledge !== undefined)
      this.#knowledge = this.#abstract?.after(this.#knowledge, this.#locals, local, input.kind === 'crash');
    return `${step}\n       ${this.#describe(local)}${sent.map((message) => `\n       → ${messageText(message, this.#naming)}`).join('')}`;
  }

  #describe({ member, view, entries, disk, waiting }: Local): string {
    const { role, term, vote, committed } = view;
    const { hardState } = disk;
    const onDisk =
      waiting === 0
        ? ''
        : `; on its disk term ${hardState.term} vote ${hardState.vote} log ${entriesText(disk.entries, this.#naming)}`;
    return `${member} is ${role}, term ${term} vote ${vote} log ${entriesText(entries, this.#naming)} commit ${committed}${onDisk}`;
  }

  #inputOf(step: string, words: string, member: ExploredMember): Input {
    const kind = inputWords.find((word) => word === words);
    if (kind !== undefined) return this.#possible(step, { kind }, member);
    const kept = /^crash (\d+)$/.exec(words)?.[1];
    if (kept !== undefined) {
      if (Number(kept) > member.recordsWaiting)
        throw bad(step, `only ${member.recordsWaiting} records wait for its disk`);
      return { kind: 'crash', kept: Number(kept) };
    }
    const text = /^gets (.*)$/.exec(words)?.[1];
    if (text === undefined)
      throw bad(step, `what happens is one of ${inputWords.join(', ')}, crash COUNT, or gets and a message`);
    const message = this.#sent.get(text);
    if (message === undefined || message.to !== member.id) throw bad(step, 'nobody has sent it this message');
    return { kind: 'deliver', message };
  }

  #possible(step: string, input: Input, member: ExploredMember): Input {
    const isLeader = member.core.view().role === 'leader';
    const wantsLeader = input.kind === 'propose' || input.kind === 'beat';
    if (input.kind === 'sync' && member.waiting === 0) throw bad(step, 'nothing waits for its disk');
    if (wantsLeader && !isLeader) throw bad(step, 'only a leader does that');
    if ((input.kind === 'timeout' || input.kind === 'doubt') && isLeader) throw bad(step, 'a leader waits for nobody');
    return input;
  }
}

function bad(step: string, reason: string): KeelsonError {
  return new KeelsonError('STORY', `step ${JSON.stringify(step)} of the story cannot be taken: ${reason}`);
}
