// Places the boxes of a graph of stages in rows, from top to bottom, and the lines between them.
//   row of a box        after all its inputs; a box without inputs moves down to the first box that needs it; a row
//                       holds at most max_per_row boxes, more go to further rows
//   order in a row      a few sweeps of barycentres
//   x                   a weighted mean of the neighbours, least squares under the distances (pool adjacent violators)
// A line that passes rows keeps a lane of its own there, shared by the lines of one kind from one box. The same graph
// gives the same layout.
#pragma once

#include <cstddef>
#include <vector>

namespace r1 {

struct GraphEdge {
  size_t from = 0, to = 0;  // from < to; others are left out
  int kind = 0;
};

struct GraphPoint {
  double x = 0, y = 0;
};

struct GraphSizes {
  double box_width = 168, box_height = 46, gap_x = 16, gap_y = 26, lane = 14;
  size_t max_per_row = 4;
};

struct GraphLayout {
  double width = 0, height = 0;
  std::vector<GraphPoint> boxes;               // top left corners
  std::vector<GraphEdge> edges;                // those that are drawn
  std::vector<std::vector<GraphPoint>> paths;  // of each: the points that it passes, at the tops of rows, between boxes
};

GraphLayout LayOut(size_t boxes, const std::vector<GraphEdge>& edges, const GraphSizes& sizes);

}  // namespace r1
