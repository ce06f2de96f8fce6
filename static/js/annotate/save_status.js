// What the save queue says to people.

/**
 * One sentence on what is saved and what waits.
 * @param {import('./save_queue.js').QueueState} state
 */
export function describeQueue({ waiting, trouble, isStored }) {
  const boxes = `the boxes of ${waiting === 1 ? '1 photo' : `${waiting} photos`}`;
  if (trouble === 'signed out') {
    return `You are signed out: sign in again in another tab. Until then ${boxes} wait here.`;
  }
  if (trouble === 'server') return `The server has a problem: ${boxes} wait here and are sent again.`;
  if (trouble === 'offline') {
    return `No connection: ${boxes} are kept ${isStored ? 'in this browser' : 'only on this page'} until it is back.`;
  }
  return waiting ? 'Saving …' : 'All saved';
}
