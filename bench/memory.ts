import type { Bed } from './bed';
import type { Figure } from './figures';
import type { BenchOptions } from './options';

export function measureMemory(_bed: Bed, _options: BenchOptions): Promise<Figure[]> {
  return Promise.resolve([]);
}
