/** What a checker finds when no promise is broken; a broken one is thrown as Violation. */
export interface Finding {
  /** `unknown`: it could not be judged, which is never taken for a yes. `notApplicable`: the history has nothing of that kind. */
  readonly verdict: 'passed' | 'unknown' | 'notApplicable';
  readonly detail: string;
}

export function passed(detail: string): Finding {
  return { verdict: 'passed', detail };
}

export function unknown(detail: string): Finding {
  return { verdict: 'unknown', detail };
}

export function notApplicable(detail: string): Finding {
  return { verdict: 'notApplicable', detail };
}
