/**
 * Services of the compatible interface that are not served, with their methods. Their clients fall
 * back when they get a well-formed `unimplemented`; a bare 404 some of them take for a wrong address.
 */
export const MISSING_METHODS: ReadonlySet<string> = new Set(
  Object.entries({
    'settings.v1.SettingsService': ['Get', 'Set', 'Delete'],
    'settings.v1.RecordingRulesService': [
      'GetRecordingRule',
      'ListRecordingRules',
      'UpsertRecordingRule',
      'DeleteRecordingRule',
    ],
    'adhocprofiles.v1.AdHocProfileService': ['Upload', 'Get', 'List', 'Diff'],
    'vcs.v1.VCSService': [
      'GithubApp',
      'GithubLogin',
      'GithubRefresh',
      'GetFile',
      'GetCommit',
      'GetCommits',
    ],
    'debuginfo.v1alpha1.DebuginfoService': [
      'ShouldInitiateUpload',
      'UploadFinished',
      'ListDebuginfo',
      'DeleteDebuginfo',
    ],
  }).flatMap(([service, methods]) => methods.map((method) => `/${service}/${method}`)),
);
