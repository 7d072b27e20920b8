import { refuseLaterRules, RULES, rulesOf } from '../../src/domain/rules';
import { codeOf } from '../support/domain-builders';

describe('the rules of a transition', () => {
  it('are those of release 0.3.0 where it names none', () => {
    expect(rulesOf({})).toBe(1);
    expect(() => refuseLaterRules({})).not.toThrow();
    expect(() => refuseLaterRules({ rules: RULES })).not.toThrow();
  });

  it('are refused when this build does not know them, so that it does not apply its own in silence', () => {
    expect(codeOf(() => refuseLaterRules({ rules: RULES + 1 }))).toBe('InvalidRequest');
    expect(codeOf(() => refuseLaterRules({ rules: NaN }))).toBe('InvalidRequest');
  });
});
