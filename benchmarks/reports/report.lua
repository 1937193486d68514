-- One report per request. A thread's requests go round its trials, so that each trial's epochs rise.
local threads = 0
function setup(thread)
  thread:set("index", threads)
  threads = threads + 1
end

function init(arguments)
  token, trials = arguments[1], {}
  local count, at = tonumber(arguments[2]), 0
  for line in io.lines(arguments[3]) do
    if at % count == index then trials[#trials + 1] = line end
    at = at + 1
  end
  sent = 0
  first = tonumber(arguments[4])
  wrk.headers["Authorization"] = "Bearer " .. token
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  local trial = trials[sent % #trials + 1]
  local epoch = first + math.floor(sent / #trials)
  sent = sent + 1
  local body = '{"items":[{' .. trial .. ',"epoch":' .. epoch ..
    ',"metrics":{"loss":0.5,"val_loss":' .. (0.5 + 1 / epoch) .. '},"elapsed_s":' .. epoch .. '}]}'
  return wrk.format("POST", "/api/v1/measurements", nil, body)
end
