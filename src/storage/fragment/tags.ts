/** Bytes of a push key. */
export const KEY_BYTES = 16;
/** Tags of the profile id. */
export const PROFILE_ID_NONE = 0;
export const PROFILE_ID_UUID = 1;
export const PROFILE_ID_TEXT = 2;
/** Flags of a group. */
export const GROUP_HAS_SPAN = 1;
export const GROUP_HAS_TRACE = 2;
