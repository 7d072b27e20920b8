import { NO_DONOR, PlacementPlan } from '../domain/placement-plan';
import type { PlacementSpec } from '../domain/shard-map';

/** The rows of one donor that move, and where to. */
export class Slice {
  readonly #plan: PlacementPlan;
  readonly #donorId: number;

  constructor(placement: PlacementSpec, donorId: number) {
    this.#plan = new PlacementPlan(placement);
    this.#donorId = donorId;
  }

  /** Null: the row does not move from this donor. */
  ownerOf(id: Uint8Array): number | null {
    const plan = this.#plan;
    plan.locate(id);
    if (plan.donor === NO_DONOR || plan.donor !== this.#donorId || plan.owner === this.#donorId) return null;
    return plan.owner;
  }

  /** The owner when every leaving shard is gone. Also of a row that does not move. */
  finalOwnerOf(id: Uint8Array): number {
    return this.#plan.ownerOf(id);
  }
}

/** Whether a row on `receiverId` is part of a slice that moves there. */
export function isReceived(plan: PlacementPlan, id: Uint8Array, receiverId: number): boolean {
  plan.locate(id);
  return plan.donor !== NO_DONOR && plan.donor !== receiverId && plan.owner === receiverId;
}
