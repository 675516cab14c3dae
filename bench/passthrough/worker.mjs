// What Tollgate on workerd is measured against: a Worker that forwards and does nothing else.
export default {
  fetch(request, env) {
    const url = new URL(request.url);
    return fetch(env.UPSTREAM + url.pathname + url.search, request);
  },
};

// The launcher binds the class; nothing here calls it.
export class TollgateCounter {}
