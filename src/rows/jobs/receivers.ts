/** What the receivers of a move hold of it. */
import type { ScanReport } from '../../contract/move';
import { receiversOf } from '../../domain/placement-plan';
import type { PlacementSpec } from '../../domain/shard-map';
import type { Job } from '../ports';
import { rowDigest } from '../row';
import { reportOf, scanCut } from '../scan';
import { Slice } from '../slice';
import type { Spool } from '../spool/spool';
import { Spooling } from '../spool/spooling';
import type { MoveParts } from './move-parts';

/** What they hold of this donor's slice, by collection. What was found before a failure is in `found` too. */
export async function scanReceivers(
  job: Job,
  { placement, donorId }: { placement: PlacementSpec; donorId: number },
  { parts, found }: { parts: MoveParts; found: Map<string, Spool[]> },
): Promise<ScanReport[]> {
  const slice = new Slice(placement, donorId);
  const reports: ScanReport[] = [];
  for (const ownerId of receiversOf(placement)) {
    const spooling = new Spooling(parts.spoolFolder);
    try {
      const source = await parts.shards(ownerId).source();
      const cut = await scanCut(source, job, (collection, rows) => {
        for (const row of rows) {
          if (slice.ownerOf(row.id) === ownerId) spooling.add(collection, row.id, rowDigest(row));
        }
      });
      cut.end();
      reports.push(reportOf(source, cut));
    } finally {
      for (const [collection, spool] of spooling.finish()) {
        found.set(collection, [...(found.get(collection) ?? []), spool]);
      }
    }
  }
  return reports;
}
