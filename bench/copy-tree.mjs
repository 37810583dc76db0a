const copyLanes = ({ lo, hi }) => ({ lo: lo.slice(), hi: hi?.slice() });

/** A tree of its own: pruning and encoding use up the one that they are given. */
export function copyTree({ names, parent, name, self, total }) {
  const copy = { names, parent: parent.slice(), name: name.slice(), self: copyLanes(self) };
  return total === undefined ? copy : { ...copy, total: copyLanes(total) };
}
