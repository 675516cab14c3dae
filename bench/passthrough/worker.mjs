// The reference for Tollgate on workerd: a Worker that only forwards.
export default {
  fetch(request, env) {
    const url = new URL(request.url);
    return fetch(env.UPSTREAM + url.pathname + url.search, request);
  },
};

// The launcher binds the class; nothing here calls it.
export class TollgateCounter {}
