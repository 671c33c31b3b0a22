"""The route guide's arithmetic, which both of its servers share."""

import json
import math

from route_guide_pb2 import Feature, Point

EARTH_RADIUS_METRES = 6_371_000


def read_features(path):
    """The database of features, in the order of the file."""
    with open(path, encoding="utf-8") as file:
        return [
            Feature(name=item["name"], location=Point(**item["location"]))
            for item in json.load(file)
        ]


def feature_at(features, point):
    """The feature at exactly this point, or None."""
    return next((feature for feature in features if feature.location == point), None)


def is_inside(point, rectangle):
    """Whether a point lies in a rectangle or on its edge. The corners may come in any order."""
    south, north = sorted([rectangle.lo.latitude, rectangle.hi.latitude])
    west, east = sorted([rectangle.lo.longitude, rectangle.hi.longitude])
    return south <= point.latitude <= north and west <= point.longitude <= east


def distance(start, end):
    """The way from one point to another in metres, by the haversine formula."""
    start_latitude = math.radians(start.latitude / 1e7)
    end_latitude = math.radians(end.latitude / 1e7)
    half_north = (end_latitude - start_latitude) / 2
    half_east = math.radians((end.longitude - start.longitude) / 1e7) / 2
    a = (
        math.sin(half_north) ** 2
        + math.cos(start_latitude) * math.cos(end_latitude) * math.sin(half_east) ** 2
    )
    return EARTH_RADIUS_METRES * 2 * math.atan2(math.sqrt(a), math.sqrt(1 - a))
