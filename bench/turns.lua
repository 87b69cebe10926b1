-- For wrk: every request takes the next Cookie header of a file, which is named after the URL.

local requests, turn = {}, 0

function init(arguments)
  for line in io.lines(arguments[1]) do
    wrk.headers["cookie"] = line
    requests[#requests + 1] = wrk.format()
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
