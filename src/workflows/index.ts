/** All workflows of a worker. The names under which they are started are in messages.ts. */
import { setWorkflowOptions, workflowInfo } from '@temporalio/workflow';
import { cluster } from './cluster';
import { diagnose } from './diagnosis/diagnose';
import { drain } from './drain';
import { autoscale } from './evaluation';
import { grow } from './grow';
import { hooks } from './hooks/hooks';
import { plan } from './plan/plan';
import { recover } from './recover';
import { check, repair } from './repair';
import { witness } from './witness';

export { autoscale, check, cluster, diagnose, drain, grow, hooks, plan, recover, repair, witness as published };

// Under Worker Versioning an operation ends on the build that it began on. All else goes over to the current build: that is the
// default of a worker. Without it Temporal refuses to be told either.
for (const operation of [grow, drain, check, repair, recover]) {
  const stayOnItsBuild = () => {
    const { deploymentName } = workflowInfo().currentDeploymentVersion ?? {};
    return deploymentName === undefined || deploymentName === '' ? {} : { versioningBehavior: 'PINNED' as const };
  };
  setWorkflowOptions<never[], unknown>(stayOnItsBuild, operation);
}
