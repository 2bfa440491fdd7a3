-- Sends the bodies in a file (the script's first argument), one a line, in turn; says its figures as JSON.
local bodies, place = {}, 0

function init(arguments)
   for line in io.lines(arguments[1]) do bodies[#bodies + 1] = line end
   wrk.method = "POST"
   wrk.headers["content-type"] = "application/json"
end

function request()
   place = place % #bodies + 1
   return wrk.format(nil, nil, nil, bodies[place])
end

function done(summary, latency)
   local e = summary.errors
   io.write(string.format(
      '\nFIGURES {"requests": %d, "seconds": %f, "refused": %d, "broken": %d, "timeouts": %d,'
      .. ' "p50_ms": %f, "p95_ms": %f, "p99_ms": %f, "max_ms": %f}\n',
      summary.requests, summary.duration / 1e6, e.status, e.connect + e.read + e.write, e.timeout,
      latency:percentile(50) / 1e3, latency:percentile(95) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3))
end
