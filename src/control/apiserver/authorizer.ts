/** RBAC over the watch caches: the index of rbac.ts, rebuilt when roles or bindings have changed. */
import type { CacheListener, ResourceCache, WatchCache } from '../storage/index.ts';
import { type Attributes, type PolicyRule, RbacIndex, type User } from './rbac.ts';

export class Authorizer {
  readonly #caches: Readonly<Record<'roles' | 'clusterRoles' | 'roleBindings' | 'clusterRoleBindings', ResourceCache>>;
  #index: RbacIndex | undefined;

  constructor(cache: WatchCache) {
    this.#caches = {
      roles: cache.resource('roles'),
      clusterRoles: cache.resource('clusterroles'),
      roleBindings: cache.resource('rolebindings'),
      clusterRoleBindings: cache.resource('clusterrolebindings'),
    };
    for (const resource of Object.values(this.#caches)) this.#follow(resource);
  }

  #follow(resource: ResourceCache): void {
    const listener: CacheListener = {
      event: () => {
        this.#index = undefined;
      },
      reset: () => {
        this.#index = undefined;
        // A reset drops its listeners; this one wants to stay.
        resource.listen(listener);
      },
    };
    resource.listen(listener);
  }

  get #current(): RbacIndex {
    if (this.#index === undefined) {
      const objects = (cache: ResourceCache) => cache.list().map((cached) => cached.object);
      this.#index = new RbacIndex({
        roles: objects(this.#caches.roles),
        clusterRoles: objects(this.#caches.clusterRoles),
        roleBindings: objects(this.#caches.roleBindings),
        clusterRoleBindings: objects(this.#caches.clusterRoleBindings),
      });
    }
    return this.#index;
  }

  isAllowed(user: User, attributes: Attributes): boolean {
    return this.#current.isAllowed(user, attributes);
  }
  rulesFor(user: User, namespace: string): readonly PolicyRule[] {
    return this.#current.rulesFor(user, namespace);
  }
  covers(user: User, namespace: string, rules: readonly PolicyRule[]): boolean {
    return this.#current.covers(user, namespace, rules);
  }
}
